-- What a row may hold: none is so large, no number so high and no instant so far that it would hold up the others.
-- Rows beyond that were written by something else than publisher. What they say is cut, and so they are not sent.

UPDATE publisher.posts SET
    status = CASE WHEN is_cut AND status = 'pending' THEN 'failed'
                  WHEN is_cut AND status = 'publishing' THEN 'unconfirmed' ELSE status END,
    lease_until = CASE WHEN is_cut AND status = 'publishing' OR NOT isfinite(lease_until) AND status <> 'publishing' THEN NULL
                       WHEN isfinite(lease_until) THEN lease_until
                       WHEN status = 'publishing' THEN now() END,
    error_class = CASE WHEN is_cut THEN 'rejected' ELSE error_class END,
    error = CASE WHEN is_cut THEN 'the post was larger than a post may be (256 KiB of text, media or options, 8 KiB of link); it was cut'
                 ELSE error END,
    body = CASE WHEN octet_length(body) > 262144 THEN left(body, 65536) ELSE body END,
    link = CASE WHEN octet_length(link) > 8192 THEN left(link, 2048) ELSE link END,
    media = CASE WHEN octet_length(media::text) > 262144 THEN '[]' ELSE media END,
    options = CASE WHEN octet_length(options::text) > 262144 THEN '{}' ELSE options END,
    checkpoint = CASE WHEN octet_length(checkpoint::text) > 8388608 THEN NULL ELSE checkpoint END,
    history = CASE WHEN octet_length(history::text) > 8388608 THEN '[]' ELSE history END,
    group_id = left(group_id, 256),
    timezone = left(timezone, 256),
    attempts = least(attempts, 1000000),
    max_attempts = least(max_attempts, 1000000),
    local_time = CASE WHEN isfinite(local_time) THEN local_time END,
    published_at = CASE WHEN isfinite(published_at) OR status <> 'published' THEN published_at ELSE updated_at END
FROM (
    SELECT id AS cut_id,
           octet_length(body) > 262144 OR coalesce(octet_length(link) > 8192, false) OR octet_length(media::text) > 262144
               OR octet_length(options::text) > 262144 OR coalesce(octet_length(checkpoint::text) > 8388608, false) AS is_cut,
           octet_length(history::text) > 8388608 OR coalesce(octet_length(group_id) > 1024, false)
               OR coalesce(octet_length(timezone) > 1024, false)
               OR attempts > 1000000 OR max_attempts > 1000000 OR NOT coalesce(isfinite(local_time), true)
               OR NOT coalesce(isfinite(published_at), true) OR NOT coalesce(isfinite(lease_until), true) AS is_beyond
    FROM publisher.posts
) beyond
WHERE id = cut_id AND (is_cut OR is_beyond);

ALTER TABLE publisher.posts
    ADD CONSTRAINT posts_body_size CHECK (octet_length(body) <= 262144),
    ADD CONSTRAINT posts_link_size CHECK (octet_length(link) <= 8192),
    ADD CONSTRAINT posts_media_size CHECK (octet_length(media::text) <= 262144),
    ADD CONSTRAINT posts_options_size CHECK (octet_length(options::text) <= 262144),
    ADD CONSTRAINT posts_checkpoint_size CHECK (octet_length(checkpoint::text) <= 8388608),
    ADD CONSTRAINT posts_history_size CHECK (octet_length(history::text) <= 8388608),
    ADD CONSTRAINT posts_names_size CHECK (octet_length(group_id) <= 1024 AND octet_length(timezone) <= 1024),
    ADD CONSTRAINT posts_attempts_bound CHECK (attempts <= 1000000 AND max_attempts <= 1000000),
    ADD CONSTRAINT posts_instants_finite CHECK (isfinite(local_time) AND isfinite(published_at) AND isfinite(lease_until));

COMMENT ON COLUMN publisher.posts.body IS 'The text, as a person wrote it (escaping is the platform client''s work). At most 256 KiB.';
COMMENT ON COLUMN publisher.posts.link IS 'A link that the post shares. At most 8 KiB.';
COMMENT ON COLUMN publisher.posts.media IS 'JSON list of {"url" or "path", "alt", "type"}. At most 256 KiB.';
COMMENT ON COLUMN publisher.posts.options IS 'JSON object, typed per platform: title, privacy, tags, first_comment … At most 256 KiB.';
