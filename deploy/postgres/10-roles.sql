-- Runs once, when the database is made. Passwords come from their files, so that no environment ever holds them.
\set services `cat /run/secrets/database_password`
\set migrations `cat /run/secrets/migration_password`
CREATE ROLE broadsheet_owner LOGIN PASSWORD :'migrations';
CREATE ROLE broadsheet LOGIN PASSWORD :'services';
-- Whoever owns the database may make things in its schema. What services may do, `broadsheet db upgrade` tells it.
ALTER DATABASE broadsheet OWNER TO broadsheet_owner;
REVOKE CONNECT ON DATABASE broadsheet FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE broadsheet TO broadsheet;
ALTER ROLE CURRENT_USER PASSWORD NULL;
