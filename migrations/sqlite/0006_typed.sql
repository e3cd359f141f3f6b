-- On PostgreSQL a function that claims returns columns; here it is the statement itself that does.
SELECT 1;
