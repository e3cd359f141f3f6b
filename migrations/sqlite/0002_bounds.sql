-- What a row may hold: none is so large, no number so high and no instant so far that it would hold up the others.
-- Rows beyond that were written by something else than publisher. What they say is cut, and so they are not sent.
-- (A constraint can't be added to a table; triggers do the same.)

UPDATE posts SET
    status = CASE status WHEN 'pending' THEN 'failed' WHEN 'publishing' THEN 'unconfirmed' ELSE status END,
    lease_until = NULL,
    error_class = 'rejected',
    error = 'the post was larger than a post may be (256 KiB of text, media or options, 8 KiB of link); it was cut',
    body = CASE WHEN length(CAST(body AS BLOB)) > 262144 THEN substr(body, 1, 65536) ELSE body END,
    link = CASE WHEN length(CAST(link AS BLOB)) > 8192 THEN substr(link, 1, 2048) ELSE link END,
    media = CASE WHEN length(CAST(media AS BLOB)) > 262144 THEN '[]' ELSE media END,
    options = CASE WHEN length(CAST(options AS BLOB)) > 262144 THEN '{}' ELSE options END,
    checkpoint = CASE WHEN length(CAST(checkpoint AS BLOB)) > 8388608 THEN NULL ELSE checkpoint END
WHERE length(CAST(body AS BLOB)) > 262144 OR length(CAST(link AS BLOB)) > 8192 OR length(CAST(media AS BLOB)) > 262144
   OR length(CAST(options AS BLOB)) > 262144 OR length(CAST(checkpoint AS BLOB)) > 8388608;

UPDATE posts SET
    history = CASE WHEN length(CAST(history AS BLOB)) > 8388608 THEN '[]' ELSE history END,
    group_id = substr(group_id, 1, 256),
    timezone = substr(timezone, 1, 256),
    attempts = min(attempts, 1000000),
    max_attempts = min(max_attempts, 1000000),
    published_at = CASE WHEN published_at GLOB '[2-9]???-??-??*' AND julianday(published_at) IS NOT NULL THEN published_at
                        WHEN status = 'published' THEN updated_at END
WHERE length(CAST(history AS BLOB)) > 8388608 OR length(CAST(group_id AS BLOB)) > 1024
   OR length(CAST(timezone AS BLOB)) > 1024 OR attempts > 1000000 OR max_attempts > 1000000
   OR published_at IS NOT NULL AND NOT (published_at GLOB '[2-9]???-??-??*' AND julianday(published_at) IS NOT NULL);

CREATE TRIGGER posts_bounds_insert BEFORE INSERT ON posts
WHEN length(CAST(NEW.body AS BLOB)) > 262144 OR length(CAST(NEW.link AS BLOB)) > 8192
  OR length(CAST(NEW.media AS BLOB)) > 262144 OR length(CAST(NEW.options AS BLOB)) > 262144
  OR length(CAST(NEW.checkpoint AS BLOB)) > 8388608 OR length(CAST(NEW.history AS BLOB)) > 8388608
  OR length(CAST(NEW.group_id AS BLOB)) > 1024 OR length(CAST(NEW.timezone AS BLOB)) > 1024
  OR NEW.attempts > 1000000 OR NEW.max_attempts > 1000000
  OR NEW.published_at IS NOT NULL
     AND NOT (NEW.published_at GLOB '[2-9]???-??-??*' AND julianday(NEW.published_at) IS NOT NULL)
BEGIN
    SELECT RAISE(ABORT, 'a post is out of bounds: body, media and options have at most 256 KiB each, link 8 KiB, checkpoint and history 8 MiB; attempts go to 1000000; published_at is an instant');
END;

CREATE TRIGGER posts_bounds_update
BEFORE UPDATE OF body, link, media, options, checkpoint, history, group_id, timezone,
                 attempts, max_attempts, published_at ON posts
WHEN length(CAST(NEW.body AS BLOB)) > 262144 OR length(CAST(NEW.link AS BLOB)) > 8192
  OR length(CAST(NEW.media AS BLOB)) > 262144 OR length(CAST(NEW.options AS BLOB)) > 262144
  OR length(CAST(NEW.checkpoint AS BLOB)) > 8388608 OR length(CAST(NEW.history AS BLOB)) > 8388608
  OR length(CAST(NEW.group_id AS BLOB)) > 1024 OR length(CAST(NEW.timezone AS BLOB)) > 1024
  OR NEW.attempts > 1000000 OR NEW.max_attempts > 1000000
  OR NEW.published_at IS NOT NULL
     AND NOT (NEW.published_at GLOB '[2-9]???-??-??*' AND julianday(NEW.published_at) IS NOT NULL)
BEGIN
    SELECT RAISE(ABORT, 'a post is out of bounds: body, media and options have at most 256 KiB each, link 8 KiB, checkpoint and history 8 MiB; attempts go to 1000000; published_at is an instant');
END;
