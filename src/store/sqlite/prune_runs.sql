-- Removes the runs that were found to be old.
DELETE FROM runs
WHERE id IN (SELECT value FROM json_each(?1, '$.ids')) AND finished_at < ?1->>'before'
RETURNING json_quote(id)
