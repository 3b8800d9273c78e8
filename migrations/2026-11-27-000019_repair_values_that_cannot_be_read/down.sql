-- What was in the repaired rows is gone, and earlier versions can read what is there now.
select 1;
