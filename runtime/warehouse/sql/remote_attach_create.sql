-- The remote databases of an extract.
CREATE TABLE _remote_attach (
    alias     VARCHAR NOT NULL,
    extension VARCHAR NOT NULL,
    url       VARCHAR NOT NULL,
    token_env VARCHAR NOT NULL
);
