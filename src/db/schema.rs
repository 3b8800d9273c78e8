// @generated automatically by Diesel CLI.

diesel::table! {
    ended_sessions (id) {
        id -> Uuid,
        user_id -> Uuid,
        token_digest -> Bytea,
        ip_address -> Inet,
        user_agent -> Nullable<Text>,
        last_activity -> Timestamptz,
        expires_at -> Timestamptz,
        created_at -> Timestamptz,
        ended_at -> Timestamptz,
        reason -> Text,
        folded_origin -> Nullable<Text>,
    }
}

diesel::table! {
    known_origins (user_id, origin_digest) {
        user_id -> Uuid,
        origin_digest -> Bytea,
        last_seen -> Timestamptz,
        told_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    login_failures (email_digest) {
        email_digest -> Bytea,
        failed_attempts -> Int4,
        locked_until -> Nullable<Timestamptz>,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    mail_requests (email_digest, kind) {
        email_digest -> Bytea,
        kind -> Text,
        requests -> Int4,
        since -> Timestamptz,
    }
}

diesel::table! {
    mails (id) {
        id -> Uuid,
        kind -> Text,
        email_digest -> Bytea,
        happened_at -> Timestamptz,
        ip_address -> Nullable<Inet>,
        user_agent -> Nullable<Text>,
        attempts -> Int4,
        due_at -> Timestamptz,
        created_at -> Timestamptz,
        network -> Nullable<Inet>,
        turn -> Float8,
        asked -> Bool,
        invited_by -> Nullable<Uuid>,
        refusals -> Int4,
        last_reason -> Nullable<Text>,
        address -> Nullable<Text>,
        about -> Nullable<Uuid>,
    }
}

diesel::table! {
    one_time_links (user_id, purpose) {
        user_id -> Uuid,
        purpose -> Text,
        token_digest -> Bytea,
        email -> Text,
        expires_at -> Timestamptz,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    service_clients (id) {
        id -> Uuid,
        name -> Text,
        secret_digest -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    sessions (id) {
        id -> Uuid,
        user_id -> Uuid,
        token_digest -> Bytea,
        ip_address -> Inet,
        user_agent -> Nullable<Text>,
        last_activity -> Timestamptz,
        expires_at -> Timestamptz,
        created_at -> Timestamptz,
        idle_timeout -> Nullable<Interval>,
        ends_at -> Nullable<Timestamptz>,
        written_at -> Timestamptz,
        is_restored -> Bool,
        ends_with_page -> Bool,
        page_stream -> Nullable<Uuid>,
        page_lost_at -> Nullable<Timestamptz>,
        page_heard_at -> Nullable<Timestamptz>,
        folded_origin -> Nullable<Text>,
        folded_user -> Nullable<Text>,
    }
}

diesel::table! {
    undelivered_mails (email_digest) {
        email_digest -> Bytea,
        kind -> Text,
        reason -> Text,
        given_up_at -> Timestamptz,
    }
}

diesel::table! {
    users (id) {
        id -> Uuid,
        name -> Text,
        email -> Text,
        password_hash -> Nullable<Text>,
        email_verified -> Bool,
        role -> Text,
        disabled_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        folded_name -> Text,
        folded_email -> Text,
        searched_email -> Nullable<Text>,
        folded_plain -> Nullable<Text>,
    }
}

diesel::joinable!(known_origins -> users (user_id));
diesel::joinable!(one_time_links -> users (user_id));
diesel::joinable!(sessions -> users (user_id));

diesel::allow_tables_to_appear_in_same_query!(
    ended_sessions,
    known_origins,
    login_failures,
    mail_requests,
    mails,
    one_time_links,
    service_clients,
    sessions,
    undelivered_mails,
    users,
);
