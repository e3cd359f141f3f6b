-- What a person decides about posts. Sending again counts as scheduled anew: an old time would expire at once.
UPDATE posts AS p
SET status = ?1->>'to',
    scheduled_at = CASE WHEN ?1->>'to' = 'pending' THEN strftime('%Y-%m-%dT%H:%M:%fZ', 'now') ELSE p.scheduled_at END,
    due_at = CASE WHEN ?1->>'to' = 'pending' THEN strftime('%Y-%m-%dT%H:%M:%fZ', 'now') ELSE p.due_at END,
    expires_at = CASE WHEN ?1->>'to' = 'pending' THEN NULL ELSE p.expires_at END,
    attempts = CASE WHEN ?1->>'to' = 'pending' THEN 0 ELSE p.attempts END,
    checkpoint = CASE WHEN ?1->>'to' IN ('pending', 'published') THEN NULL ELSE p.checkpoint END,
    published_at = CASE WHEN ?1->>'to' = 'published'
                        THEN coalesce(p.published_at, ?1->>'published_at', p.updated_at)
                        ELSE p.published_at END,
    platform_post_id = coalesce(?1->>'platform_post_id', p.platform_post_id),
    permalink = coalesce(?1->>'permalink', p.permalink),
    error_class = CASE WHEN ?1->>'to' = 'published' THEN NULL ELSE p.error_class END,
    error_code = CASE WHEN ?1->>'to' = 'published' THEN NULL ELSE p.error_code END,
    error = CASE WHEN ?1->>'to' = 'published' THEN NULL ELSE p.error END,
    history = json_insert(CASE WHEN json_array_length(p.history) >= 50 THEN json_remove(p.history, '$[0]')
                               ELSE p.history END, '$[#]',
                          json_object('at', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), 'outcome', ?1->>'to',
                                      'message', ?1->>'message')),
    updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE p.id IN (SELECT value FROM json_each(?1, '$.ids'))
  AND p.status IN (SELECT value FROM json_each(?1, '$.from'))
RETURNING CAST(id AS TEXT)
