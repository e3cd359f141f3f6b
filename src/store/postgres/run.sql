-- Also the mark of a commit: where it is there already, an earlier try of the same commit went through.
INSERT INTO publisher.runs (id, host, version, started_at, finished_at, due, published, retry, failed, expired,
                            unconfirmed, released, platforms, exit_code)
SELECT r.id, r.host, r.version, r.started_at, r.finished_at, r.due, r.published, r.retry, r.failed, r.expired,
       r.unconfirmed, r.released, r.platforms, r.exit_code
FROM jsonb_populate_record(NULL::publisher.runs, $1::jsonb) r
ON CONFLICT (id) DO NOTHING
RETURNING id::text
