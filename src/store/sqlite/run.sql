-- Also the mark of a commit: where it is there already, an earlier try of the same commit went through.
INSERT INTO runs (id, host, version, started_at, finished_at, due, published, retry, failed, expired,
                  unconfirmed, released, platforms, exit_code)
VALUES (?1->>'id', ?1->>'host', ?1->>'version', ?1->>'started_at', ?1->>'finished_at', ?1->>'due', ?1->>'published',
        ?1->>'retry', ?1->>'failed', ?1->>'expired', ?1->>'unconfirmed', ?1->>'released', ?1->'platforms',
        ?1->>'exit_code')
ON CONFLICT (id) DO NOTHING
RETURNING id
