-- The first bulk UPDATE: what was published. The claim fences it off from every other run.
-- A database that went back to before the claim (a standby that was promoted without it, a restored copy) has the post
-- as it was then: pending, with a try less and another claim or none. What is live must not be sent again from there.
UPDATE publisher.posts p
SET status = 'published', lease_until = NULL, checkpoint = NULL, attempts = coalesce(r.attempts, p.attempts),
    platform_post_id = r.platform_post_id, permalink = r.permalink, published_at = r.published_at,
    error_class = NULL, error_code = NULL, error = NULL,
    history = (CASE WHEN jsonb_array_length(p.history) >= 50 THEN p.history - 0 ELSE p.history END) || r.entry
FROM jsonb_to_recordset($1::jsonb->'rows')
     AS r (id bigint, platform_post_id text, permalink text, published_at timestamptz, attempts integer,
           entry jsonb)
WHERE p.id = r.id
  AND (p.status = 'publishing' AND p.claim = ($1::jsonb->>'claim')::uuid
       OR p.status = 'pending' AND p.claim IS DISTINCT FROM ($1::jsonb->>'claim')::uuid AND p.attempts = r.attempts - 1)
RETURNING p.id::text
