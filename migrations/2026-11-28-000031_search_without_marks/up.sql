-- A search overlooks marks: oberg finds Öberg. Only a search does; addresses are told apart as before.

-- Words in lower case and in plain letters: without their marks, and without what letters have in place of marks. The program does the
-- same with what somebody looks for (`plain_letters` in src/auth/lists/plain.rs). Not in SQL, which would do the dear parts several times.
create function plain_letters(words text) returns text
    language plpgsql immutable strict parallel safe
    as $$
begin
    if octet_length(words) > char_length(words) then
        -- Unicode takes a letter apart (ö is o and U+0308). The last two were not taken apart before Unicode 16.
        words := regexp_replace(normalize(words, nfd) collate "C", '[\u0300-\u036f]', '', 'g');
        words := translate(lowered(words), 'ςſøłđðıħŧ𐗉𐗤', 'σsolddiht𐗒𐗚');
        words := normalize(replace(replace(replace(replace(words, 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'));
    end if;
    return lower(words collate "C");
end
$$;

-- What a user is found by, where not all of it is ASCII: the name, the address, and the address as people read it. Elsewhere `folded_name`
-- and `folded_email` are in plain letters already. A trigger writes it. As a generated column it would be written for all users at once,
-- while nobody could read the table. So the program does that for users of before, some at a time, when it opens the database next.
alter table users add column folded_plain text;

create function users_folded_plain() returns trigger
    language plpgsql
    as $$
declare
    words text := concat_ws(' ', new.name, new.email, new.searched_email);
begin
    new.folded_plain := case when octet_length(words) > char_length(words)
        then concat_ws(' ', plain_letters(new.name), plain_letters(new.email), plain_letters(new.searched_email)) end;
    return new;
end
$$;
create trigger users_folded_plain before insert or update of name, email, searched_email, folded_plain on users
    for each row execute function users_folded_plain();
-- As with the triggers of the feed: it finds nothing in anybody's temporary schema.
do $$
begin
    execute format('alter function users_folded_plain set search_path = %I, pg_temp', current_schema());
end
$$;

-- What the row of a session has of its user.
create or replace function searched_text(someone users) returns text
    language sql immutable parallel safe
    as $$
        select coalesce(someone.folded_plain, someone.folded_name || ' ' || someone.folded_email)
    $$;
