-- Each branch has its index. What is put off comes back within seven days, or never.
SELECT jsonb_build_object('id', p.id, 'account_id', p.account_id, 'scheduled_at', p.scheduled_at, 'body', p.body,
                          'link', p.link, 'media', p.media, 'external_ref', p.external_ref)::text
FROM (
    SELECT * FROM publisher.posts
    WHERE status = 'pending'
      AND due_at >= coalesce(($1::jsonb->>'from')::timestamptz, '-infinity')
      AND due_at <= coalesce(($1::jsonb->>'until')::timestamptz + interval '7 days', 'infinity')
    UNION ALL
    SELECT * FROM publisher.posts WHERE status = 'publishing'
    UNION ALL
    SELECT * FROM publisher.posts WHERE status = 'unconfirmed'
) p
JOIN publisher.accounts a ON a.id = p.account_id
WHERE ($1::jsonb->>'account_ids' IS NULL
       OR p.account_id = ANY (ARRAY(SELECT jsonb_array_elements_text($1::jsonb->'account_ids')::bigint)))
  AND p.scheduled_at >= coalesce(($1::jsonb->>'from')::timestamptz, '-infinity')
  AND p.scheduled_at <= coalesce(($1::jsonb->>'until')::timestamptz, 'infinity')
  AND ($1::jsonb->>'platform' IS NULL OR a.platform = $1::jsonb->>'platform')
  AND ($1::jsonb->>'owner' IS NULL OR a.owner = $1::jsonb->>'owner')
ORDER BY p.id
