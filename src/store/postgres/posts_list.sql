SELECT (to_jsonb(p) || jsonb_build_object('owner', a.owner, 'platform', a.platform,
                                          'account', a.platform || ':' || a.external_id))::text
FROM publisher.posts p
JOIN publisher.accounts a ON a.id = p.account_id
WHERE ($1::jsonb->>'id' IS NULL OR p.id = ($1::jsonb->>'id')::bigint)
  AND ($1::jsonb->>'ids' IS NULL OR p.id = ANY (ARRAY(SELECT jsonb_array_elements_text($1::jsonb->'ids')::bigint)))
  AND ($1::jsonb->>'status' IS NULL OR p.status = $1::jsonb->>'status')
  AND ($1::jsonb->>'platform' IS NULL OR a.platform = $1::jsonb->>'platform')
  AND ($1::jsonb->>'owner' IS NULL OR a.owner = $1::jsonb->>'owner')
  AND ($1::jsonb->>'account_id' IS NULL OR a.id = ($1::jsonb->>'account_id')::bigint)
ORDER BY p.scheduled_at DESC, p.id DESC
LIMIT ($1::jsonb->>'limit')::bigint
