-- The directory of a large company, for `./dev bench auth`: 5,000 users, 500 groups and 50,000 grants, put into the state
-- of a server that is stopped. Adding them one by one over the API would take hours, since each is a transaction with an
-- entry of the audit log. All users get the one password that somebody has already.

INSERT INTO users (id, email, name, active, password_hash, created_at)
SELECT printf('01900000-0000-7000-9000-%012d', n), printf('person%d@example.com', n), printf('Person %d', n), true,
    (SELECT any_value(password_hash) FROM users), current_timestamp::TIMESTAMP
FROM range(5000) AS people(n);

INSERT INTO user_groups (id, name, description, origin, created_at)
SELECT printf('01900000-0000-7000-a000-%012d', n), printf('Team %d', n), '', 'admin', current_timestamp::TIMESTAMP
FROM range(500) AS teams(n);

-- Ten groups a user, in thousands of different sets, so that few users can share what they were granted.
INSERT INTO user_group_members (user_id, group_id, origin, added_at)
SELECT printf('01900000-0000-7000-9000-%012d', n), printf('01900000-0000-7000-a000-%012d', (n + k * (1 + n % 49)) % 500),
    'admin', current_timestamp::TIMESTAMP
FROM range(5000) AS people(n), range(10) AS memberships(k);

-- The one who is asked about is in ten of them too.
INSERT INTO user_group_members (user_id, group_id, origin, added_at)
SELECT id, printf('01900000-0000-7000-a000-%012d', k * 50), 'admin', current_timestamp::TIMESTAMP
FROM users, range(10) AS memberships(k)
WHERE email = 'reader@example.com';

INSERT INTO resource_grants (id, group_id, permission, resource_type, resource_id, granted_at)
SELECT uuid()::VARCHAR, printf('01900000-0000-7000-a000-%012d', n), 'read', 'table',
    printf('table_%d', (n + k * 5) % 1000), current_timestamp::TIMESTAMP
FROM range(500) AS teams(n), range(100) AS grants(k);
