drop index users_without_folded_plain_idx;
drop index if exists users_folded_plain_idx;
