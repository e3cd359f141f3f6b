-- What is due, in the order in which it goes out, and what holds it back. The claim and the dry run both start so.
-- The one parameter is a JSON object: now (null: the clock), schema, expiry_seconds, platforms, owners, ….
-- It is put together of this, of `few` or `many`, which say what waits, and of `due`.
-- Instants compare as text, so what is how long ago is worked out once and not for every post.
WITH RECURSIVE clock AS MATERIALIZED (
    SELECT now,
           strftime('%Y-%m-%dT%H:%M:%fZ', now, (?1->>'lease_seconds') || ' seconds') AS lease_until,
           strftime('%Y-%m-%dT%H:%M:%fZ', now, '-' || (?1->>'expiry_seconds') || ' seconds') AS expired,
           strftime('%Y-%m-%dT%H:%M:%fZ', now, '-5 minutes') AS on_time,
           strftime('%Y-%m-%dT%H:%M:%fZ', now, '-1 hour') AS recent,
           strftime('%Y-%m-%dT%H:%M:%fZ', now, '-24 hours') AS moderate,
           strftime('%Y-%m-%dT%H:%M:%fZ', now, '-7 days') AS severe
    FROM (SELECT coalesce(?1->>'now', strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) AS now)
),
