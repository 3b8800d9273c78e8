-- Users are brought along from other systems, with the hashes that those have made. An admin among them can administer, too.

-- Could this user sign in and administer? A hash is told by its beginning, which each system has of its own: the program alone reads the
-- rest, and takes no other in an import. Anything else in its place is the same as none, and so is clear text. No function of ours is
-- called from here: somebody else's search_path would not find it.
create or replace function can_administer(someone users) returns boolean
    language sql immutable parallel safe
    as $$
        select someone.role = 'admin' and someone.disabled_at is null and someone.email_verified
            and coalesce(
                -- Ours, and nearly all: a regular expression takes 70 times as long.
                someone.password_hash like '$argon2id$_%$_%' or someone.password_hash ~ (
                -- One constant, as literals below each other are. PostgreSQL puts this text in the place of a call only
                -- while all of it is immutable, as concat() is not.
                '^('
                -- Argon2: oneseat, Django, Nextcloud, OpenLDAP, Spring.
                '(argon2|2\||3\||\{ARGON2\}|\{argon2(@SpringSecurity_v5_8)?\})?\$argon2(id|i|d)\$.+\$.+|'
                -- bcrypt: many, Nextcloud, Devise, Spring, Django, WordPress.
                '(1\||\{CRYPT\}|\{devise\}|\{bcrypt\}|bcrypt\$|bcrypt_sha256\$|\$wp)?\$2[aby]\$[0-9]{2}\$[./0-9A-Za-z]{53}$|'
                -- Django, Werkzeug, Passlib, phpass.
                'pbkdf2_sha(1|256)\$[0-9]+\$|scrypt\$[0-9]+\$|(scrypt|pbkdf2):[^$]+\$|\$(pbkdf2(-sha(256|512))?|scrypt)\$|\$[PH]\$.{31}$|'
                -- better-auth, ASP.NET.
                '[0-9a-fA-F]{32}:[0-9a-fA-F]{128}$|A[A-Q][A-Za-z0-9+/]{60,}=*$|'
                -- Spring, directories, Keycloak.
                '\{(pbkdf2|scrypt)(@SpringSecurity_v5_8)?\}|(\{ldap\})?\{[Ss]?[Ss][Hh][Aa](256|384|512)?\}|\{.*"secretData"'
            ')'), false)
    $$;
