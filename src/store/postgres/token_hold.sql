UPDATE publisher.accounts
SET token_held_by = ($1::jsonb->>'run')::uuid, token_held_until = now() + interval '2 minutes'
WHERE id = ($1::jsonb->>'account')::bigint AND credentials IS NOT NULL
  AND (token_held_until IS NULL OR token_held_until < now())
RETURNING jsonb_build_object('credentials', credentials, 'token_expires_at', token_expires_at)::text
