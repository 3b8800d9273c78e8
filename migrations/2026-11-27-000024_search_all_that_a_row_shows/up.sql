-- A search finds all that a row of a list shows: also the device, which only the program knows how to put in words, and any part of the address.
-- The program writes both here, in lower case, when a session is opened. An earlier version does not, and neither do its sessions have it: those
-- are searched by what their browser sent.
alter table sessions add column folded_origin text;
alter table ended_sessions add column folded_origin text;

-- Pages of live sessions follow each other by what does not change while people are active. This takes a second for a million sessions.
create index sessions_created_at_idx on sessions (created_at desc, id desc);
-- Nothing goes by it any more, and every activity that was written had to change it.
drop index sessions_last_activity_idx;
