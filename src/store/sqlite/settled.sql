-- The second bulk UPDATE: everything else.
UPDATE posts AS p
SET status = r.value->>'status', lease_until = NULL, attempts = r.value->>'attempts',
    -- While a run held it an application may have given it a later time, before which it must not go out.
    due_at = max(coalesce(r.value->>'due_at', p.due_at), iif(r.value->>'status' = 'pending', p.scheduled_at, '')),
    checkpoint = CASE WHEN json_type(r.value, '$.checkpoint') = 'null' THEN NULL ELSE r.value->'checkpoint' END,
    error_class = CASE WHEN r.value->>'entry' IS NULL THEN p.error_class ELSE r.value->>'error_class' END,
    error_code = CASE WHEN r.value->>'entry' IS NULL THEN p.error_code ELSE r.value->>'error_code' END,
    error = CASE WHEN r.value->>'entry' IS NULL THEN p.error ELSE r.value->>'error' END,
    history = CASE WHEN r.value->>'entry' IS NULL THEN p.history
                   ELSE json_insert(CASE WHEN json_array_length(p.history) >= 50 THEN json_remove(p.history, '$[0]')
                                         ELSE p.history END, '$[#]', json(r.value->'entry')) END,
    updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
FROM json_each(?1, '$.rows') AS r
WHERE p.id = r.value->>'id'
  AND (p.status = 'publishing' AND p.claim = ?1->>'claim'
       -- See published.sql: what may be live must not be sent again either. But a doubt is less than a fact: where
       -- another run had the post since, its look-up or a person may have settled it.
       OR r.value->>'status' = 'unconfirmed' AND p.status = 'pending' AND p.claim IS NULL
          AND p.attempts = r.value->>'attempts' - 1)
RETURNING CAST(id AS TEXT)
