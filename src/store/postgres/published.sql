-- The first bulk UPDATE: what was published. The claim fences it off from every other run.
-- A database that went back to before the claim (a standby that was promoted without it, a restored copy) has the post
-- as it was then: pending, with a try less and another claim or none. What is live must not be sent again from there.
-- The parameters are the claim and a list for each column: taking a large JSON value apart takes longer than the rest.
UPDATE publisher.posts p
SET status = 'published', lease_until = NULL, checkpoint = NULL, attempts = coalesce(r.attempts, p.attempts),
    platform_post_id = r.platform_post_id, permalink = r.permalink, published_at = r.published_at,
    error_class = NULL, error_code = NULL, error = NULL,
    history = (CASE WHEN jsonb_array_length(p.history) >= 50 THEN p.history - 0 ELSE p.history END) || r.entry::jsonb
FROM unnest($2::bigint[], $3::text[], $4::text[], $5::timestamptz[], $6::integer[], $7::text[])
     AS r (id, platform_post_id, permalink, published_at, attempts, entry)
WHERE p.id = r.id
  AND (p.status = 'publishing' AND p.claim = $1::text::uuid
       OR p.status = 'pending' AND p.claim IS DISTINCT FROM $1::text::uuid AND p.attempts = r.attempts - 1)
RETURNING p.id::text
