-- The constraints go with the migration that added them.
select 1;
