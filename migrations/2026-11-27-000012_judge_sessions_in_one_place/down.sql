drop function session_ends_at(timestamptz, timestamptz, timestamptz, interval, interval);
