-- Removes the runs that were found to be old. Those that another session holds are left to the next time.
WITH locked AS MATERIALIZED (
    SELECT id FROM publisher.runs
    WHERE id = ANY (ARRAY(SELECT jsonb_array_elements_text($1::jsonb->'ids')::uuid))
      AND finished_at < ($1::jsonb->>'before')::timestamptz
    FOR UPDATE SKIP LOCKED
)
DELETE FROM publisher.runs WHERE id = ANY (ARRAY(SELECT id FROM locked))
RETURNING to_json(id)::text
