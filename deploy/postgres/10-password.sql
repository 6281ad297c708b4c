-- Runs once, when the database is made: the password comes from its file, so that no environment ever holds it.
\set password `cat /run/secrets/database_password`
ALTER ROLE CURRENT_USER PASSWORD :'password';
