-- The first bulk UPDATE: what was published. The claim fences it off from every other run.
UPDATE publisher.posts p
SET status = 'published', lease_until = NULL, checkpoint = NULL,
    platform_post_id = r.platform_post_id, permalink = r.permalink, published_at = r.published_at,
    error_class = NULL, error_code = NULL, error = NULL,
    history = (CASE WHEN jsonb_array_length(p.history) >= 50 THEN p.history - 0 ELSE p.history END) || r.entry
FROM jsonb_to_recordset($1::jsonb->'rows')
     AS r (id bigint, platform_post_id text, permalink text, published_at timestamptz, entry jsonb)
WHERE p.id = r.id AND p.status = 'publishing' AND p.claim = ($1::jsonb->>'claim')::uuid
RETURNING p.id::text
