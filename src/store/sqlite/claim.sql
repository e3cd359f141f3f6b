-- Inside BEGIN IMMEDIATE, so that no other run comes between the choice and the claim.
, picked AS MATERIALIZED (
    SELECT id, place, action,
           CASE WHEN action = 'recover' THEN (SELECT lease_until FROM posts p WHERE p.id = queue.id) END AS held_until
    FROM queue WHERE held_by IS NULL ORDER BY place LIMIT ?1->>'limit'
)
UPDATE posts
SET status = 'publishing',
    claim = ?1->>'claim',
    lease_until = (SELECT lease_until FROM clock),
    -- A number at its bound stays there: the bounds' trigger would refuse the whole claim.
    attempts = min(attempts + (picked.action = 'publish'), 1000000),
    updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
FROM picked
-- The + leaves one way to do it, from the picked to their posts: without statistics the other, from every post to
-- the picked, looks cheap.
WHERE posts.id = +picked.id
-- RETURNING sees the row and the WITH, but not `picked.place` of this row, and looking it up would cost a scan a row:
-- one row brings the places of all, and their accounts once each. The columns are those of PostgreSQL's claim_due.
RETURNING
    CASE WHEN posts.id = (SELECT id FROM picked LIMIT 1) THEN (SELECT now FROM clock) END,
    ?1->>'schema',
    CASE WHEN posts.id = (SELECT id FROM picked LIMIT 1) THEN (
        SELECT json_group_array(json_object(
            'id', a.id, 'owner', a.owner, 'platform', a.platform, 'external_id', a.external_id,
            'display_name', a.display_name, 'credentials', a.credentials,
            'token_expires_at', a.token_expires_at, 'settings', json(a.settings), 'updated_at', a.updated_at))
        FROM accounts a
        WHERE a.id IN (SELECT p.account_id FROM picked CROSS JOIN posts p WHERE p.id = picked.id)) END,
    CASE WHEN posts.id = (SELECT id FROM picked LIMIT 1)
         THEN (SELECT json_group_object(id, json_array(place, action, held_until)) FROM picked) END,
    posts.id, NULL, NULL, NULL, NULL, posts.account_id, posts.kind, posts.body, posts.link, json(posts.media),
    json(posts.options), posts.scheduled_at,
    CASE WHEN posts.expires_at IS NULL
         THEN strftime('%Y-%m-%dT%H:%M:%fZ', posts.scheduled_at, min(?1->>'expiry_seconds', 604800) || ' seconds')
         ELSE min(posts.expires_at, strftime('%Y-%m-%dT%H:%M:%fZ', posts.scheduled_at, '7 days')) END,
    posts.attempts, posts.max_attempts, json(posts.checkpoint)
