INSERT INTO publisher.posts (account_id, group_id, kind, body, link, media, options, scheduled_at, local_time,
                             timezone, expires_at, priority, max_attempts, external_ref)
SELECT r.account_id, r.group_id, coalesce(r.kind, 'post'), coalesce(r.body, ''), r.link, coalesce(r.media, '[]'),
       coalesce(r.options, '{}'), r.scheduled_at, r.local_time, r.timezone, r.expires_at, coalesce(r.priority, 0),
       coalesce(r.max_attempts, 5), r.external_ref
FROM jsonb_array_elements($1::jsonb->'rows') WITH ORDINALITY AS e (value, place),
     LATERAL jsonb_to_record(e.value) AS r (account_id bigint, group_id text, kind text, body text, link text,
         media jsonb, options jsonb, scheduled_at timestamptz, local_time timestamp, timezone text,
         expires_at timestamptz, priority integer, max_attempts integer, external_ref text)
ORDER BY e.place
ON CONFLICT (external_ref) WHERE external_ref IS NOT NULL DO NOTHING
RETURNING id::text
