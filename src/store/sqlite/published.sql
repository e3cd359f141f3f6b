-- The first bulk UPDATE: what was published. The claim fences it off from every other run.
UPDATE posts AS p
SET status = 'published', lease_until = NULL, checkpoint = NULL,
    platform_post_id = r.value->>'platform_post_id', permalink = r.value->>'permalink',
    published_at = r.value->>'published_at',
    error_class = NULL, error_code = NULL, error = NULL,
    history = json_insert(CASE WHEN json_array_length(p.history) >= 50 THEN json_remove(p.history, '$[0]')
                               ELSE p.history END, '$[#]', json(r.value->'entry')),
    updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
FROM json_each(?1, '$.rows') AS r
WHERE p.id = r.value->>'id' AND p.status = 'publishing' AND p.claim = ?1->>'claim'
RETURNING CAST(id AS TEXT)
