-- What a person decides about posts. Sending again counts as scheduled anew: an old time would expire at once.
UPDATE publisher.posts p
SET status = $1::jsonb->>'to',
    scheduled_at = CASE WHEN $1::jsonb->>'to' = 'pending' THEN now() ELSE p.scheduled_at END,
    due_at = CASE WHEN $1::jsonb->>'to' = 'pending' THEN now() ELSE p.due_at END,
    expires_at = CASE WHEN $1::jsonb->>'to' = 'pending' THEN NULL ELSE p.expires_at END,
    attempts = CASE WHEN $1::jsonb->>'to' = 'pending' THEN 0 ELSE p.attempts END,
    checkpoint = CASE WHEN $1::jsonb->>'to' IN ('pending', 'published') THEN NULL ELSE p.checkpoint END,
    published_at = CASE WHEN $1::jsonb->>'to' = 'published'
                        THEN coalesce(p.published_at, ($1::jsonb->>'published_at')::timestamptz, p.updated_at)
                        ELSE p.published_at END,
    platform_post_id = coalesce($1::jsonb->>'platform_post_id', p.platform_post_id),
    permalink = coalesce($1::jsonb->>'permalink', p.permalink),
    error_class = CASE WHEN $1::jsonb->>'to' = 'published' THEN NULL ELSE p.error_class END,
    error_code = CASE WHEN $1::jsonb->>'to' = 'published' THEN NULL ELSE p.error_code END,
    error = CASE WHEN $1::jsonb->>'to' = 'published' THEN NULL ELSE p.error END,
    history = (CASE WHEN jsonb_array_length(p.history) >= 50 THEN p.history - 0 ELSE p.history END)
              || jsonb_build_object('at', now(), 'outcome', $1::jsonb->>'to', 'message', $1::jsonb->>'message')
WHERE p.id = ANY (ARRAY(SELECT jsonb_array_elements_text($1::jsonb->'ids')::bigint))
  AND $1::jsonb->'from' ? p.status
RETURNING p.id::text
