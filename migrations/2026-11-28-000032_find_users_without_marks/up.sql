-- The indexes of `folded_plain`. In a migration of their own: the one before it locks the table against readers, and this one does not.

-- The rows that have yet to get it. It is empty as a rule.
create index users_without_folded_plain_idx on users (id)
    where folded_plain is null and octet_length(name || email || coalesce(searched_email, '')) > char_length(name || email || coalesce(searched_email, ''));

do $$
begin
    -- The extension may be in a schema that is not searched, or missing.
    execute (
        select format('create index users_folded_plain_idx on users using gin (folded_plain %I.gin_trgm_ops) where folded_plain is not null',
                nspname)
            from pg_extension join pg_namespace on pg_namespace.oid = extnamespace where extname = 'pg_trgm'
    );
exception
    when null_value_not_allowed or insufficient_privilege or undefined_object then
        raise notice 'searching users without pg_trgm: %', sqlerrm;
end
$$;
