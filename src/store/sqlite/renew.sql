-- A run that goes on holds what it claimed for as long again. What is no longer its own it learns by what is missing.
UPDATE posts
SET lease_until = strftime('%Y-%m-%dT%H:%M:%fZ', coalesce(?1->>'now', 'now'), (?1->>'lease_seconds') || ' seconds'),
    updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE status = 'publishing' AND lease_until > '' AND claim IN (SELECT value FROM json_each(?1, '$.claims'))
RETURNING CAST(id AS TEXT)
