-- Each branch has its index. What is put off comes back within seven days, or never.
SELECT json_object('id', p.id, 'account_id', p.account_id, 'scheduled_at', p.scheduled_at, 'body', p.body,
                   'link', p.link, 'media', json(p.media), 'external_ref', p.external_ref)
FROM (
    SELECT * FROM posts
    WHERE status = 'pending'
      AND due_at >= coalesce(?1->>'from', '')
      AND due_at <= coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', ?1->>'until', '+7 days'), '~')
    UNION ALL
    SELECT * FROM posts WHERE status = 'publishing'
    UNION ALL
    SELECT * FROM posts WHERE status = 'unconfirmed'
) p
JOIN accounts a ON a.id = p.account_id
WHERE (?1->>'account_ids' IS NULL OR p.account_id IN (SELECT value FROM json_each(?1->'account_ids')))
  AND p.scheduled_at >= coalesce(?1->>'from', '')
  AND p.scheduled_at <= coalesce(?1->>'until', '~')
  AND (?1->>'platform' IS NULL OR a.platform = ?1->>'platform')
  AND (?1->>'owner' IS NULL OR a.owner = ?1->>'owner')
ORDER BY p.id
