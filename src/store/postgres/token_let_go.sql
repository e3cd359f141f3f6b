-- A secret is never overwritten with nothing.
UPDATE publisher.accounts
SET token_held_by = NULL, token_held_until = NULL,
    token_expires_at = CASE WHEN $1::jsonb->>'credentials' IS NULL THEN token_expires_at
                            ELSE ($1::jsonb->>'token_expires_at')::timestamptz END,
    credentials = coalesce($1::jsonb->>'credentials', credentials)
WHERE id = ($1::jsonb->>'account')::bigint AND token_held_by = ($1::jsonb->>'run')::uuid
RETURNING id::text
