-- What the next server takes over: who owns a name, and what each source published last, as JSON.
CREATE TABLE _sluice_owner (table_name VARCHAR NOT NULL, source VARCHAR NOT NULL);
CREATE TABLE _sluice_source (source VARCHAR NOT NULL, contents VARCHAR NOT NULL);
