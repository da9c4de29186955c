-- Where an item of knowledge comes from, what speaks for it, and what it contradicts.

ALTER TABLE knowledge_items ADD COLUMN source_ref VARCHAR;
ALTER TABLE knowledge_items ADD COLUMN valid_from TIMESTAMP_NS;
ALTER TABLE knowledge_items ADD COLUMN valid_until TIMESTAMP_NS;
ALTER TABLE knowledge_items ADD COLUMN supersedes VARCHAR;
ALTER TABLE knowledge_items ADD COLUMN sensitivity VARCHAR DEFAULT 'internal';

CREATE TABLE knowledge_contradictions (
    id                   VARCHAR NOT NULL,
    item_a_id            VARCHAR NOT NULL,
    item_b_id            VARCHAR NOT NULL,
    explanation          VARCHAR NOT NULL,
    severity             VARCHAR,
    suggested_resolution VARCHAR,
    resolution           VARCHAR,
    resolved_by          VARCHAR,
    resolved_at          TIMESTAMP_NS,
    detected_at          TIMESTAMP_NS NOT NULL
);

-- Somebody who says the same as an item, in their own words.
CREATE TABLE verification_evidence (
    id             VARCHAR NOT NULL,
    item_id        VARCHAR NOT NULL,
    source_user    VARCHAR NOT NULL,
    source_ref     VARCHAR,
    detection_type VARCHAR NOT NULL,
    user_quote     VARCHAR,
    created_at     TIMESTAMP_NS NOT NULL
);
