-- Removes the posts that were found to be old. Those that another session holds are left to the next time, and what was
-- changed since it was found is no longer old.
WITH locked AS MATERIALIZED (
    SELECT id FROM publisher.posts
    WHERE id = ANY (ARRAY(SELECT jsonb_array_elements_text($1::jsonb->'ids')::bigint))
      AND status IN ('published', 'failed', 'expired', 'canceled')
      AND updated_at < ($1::jsonb->>'before')::timestamptz
    FOR UPDATE SKIP LOCKED
)
DELETE FROM publisher.posts WHERE id = ANY (ARRAY(SELECT id FROM locked))
RETURNING to_json(id)::text
