-- The first bulk UPDATE: what was published. The claim fences it off from every other run.
-- A database that went back to before the claim (a standby that was promoted without it, a restored copy) has the post
-- as it was then: pending, with a try less and another claim or none. What is live must not be sent again from there.
UPDATE posts AS p
SET status = 'published', lease_until = NULL, checkpoint = NULL,
    attempts = coalesce(r.value->>'attempts', p.attempts),
    platform_post_id = r.value->>'platform_post_id', permalink = r.value->>'permalink',
    published_at = r.value->>'published_at',
    error_class = NULL, error_code = NULL, error = NULL,
    history = json_insert(CASE WHEN json_array_length(p.history) >= 50 THEN json_remove(p.history, '$[0]')
                               ELSE p.history END, '$[#]', json(r.value->'entry')),
    updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
FROM json_each(?1, '$.rows') AS r
WHERE p.id = r.value->>'id'
  AND (p.status = 'publishing' AND p.claim = ?1->>'claim'
       OR p.status = 'pending' AND p.claim IS NOT ?1->>'claim' AND p.attempts = r.value->>'attempts' - 1)
RETURNING CAST(id AS TEXT)
