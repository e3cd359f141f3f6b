-- A run that goes on holds what it claimed for as long again. What is no longer its own it learns by what is missing.
UPDATE publisher.posts p
SET lease_until = coalesce(($1::jsonb->>'now')::timestamptz, now())
                  + make_interval(secs => ($1::jsonb->>'lease_seconds')::float8)
WHERE p.status = 'publishing'
  AND p.claim IN (SELECT claim::uuid FROM jsonb_array_elements_text($1::jsonb->'claims') AS c (claim))
RETURNING p.id::text
