-- Whether a claim may find anything, and whether more is due than it takes: a row, or none. Most runs find nothing due,
-- and looking costs a tenth of preparing the claim; it takes no write lock either. (On PostgreSQL the function
-- publisher.claim_due looks.)
SELECT CASE WHEN (SELECT count(*) FROM (
                      SELECT 1 FROM posts
                      WHERE status = 'pending' AND due_at <= coalesce(?1->>'now', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
                      LIMIT max(20, ?1->>'limit') + 1)) > max(20, ?1->>'limit')
            THEN 'many' ELSE 'few' END
WHERE EXISTS (SELECT 1 FROM posts
              WHERE status = 'pending' AND due_at <= coalesce(?1->>'now', strftime('%Y-%m-%dT%H:%M:%fZ', 'now')))
   OR EXISTS (SELECT 1 FROM posts
              WHERE status = 'publishing'
                AND lease_until < coalesce(?1->>'now', strftime('%Y-%m-%dT%H:%M:%fZ', 'now')))
   OR EXISTS (SELECT 1 FROM posts
              WHERE status = 'unconfirmed' AND due_at <= coalesce(?1->>'now', strftime('%Y-%m-%dT%H:%M:%fZ', 'now')))
