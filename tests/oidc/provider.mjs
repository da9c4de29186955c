// A real OpenID Connect provider on a free port of loopback. Prints its issuer. It logs in whomever `login_hint` names,
// at once and without a question: what is tested is the other side.

import { createServer } from "node:http";

import Provider from "../../.tools/oidc-provider/node_modules/oidc-provider/lib/index.js";

// Whoever started it is gone when standard input ends.
process.stdin.resume().on("end", () => process.exit());
// Nobody reads on after the issuer.
console.info = console.warn = () => {};

// Whom it knows; a test may say otherwise.
const people = new Map(Object.entries({
  ada: { email: "ada@example.com", email_verified: true, name: "Ada Lovelace", groups: ["dev", "ops"] },
  eve: { email: "eve@example.com", email_verified: false, name: "Eve", groups: [] },
  sam: { email: "sam@elsewhere.example", email_verified: true, name: "Sam", groups: [] },
  nil: { name: "Nobody" },
}));

const server = createServer();
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [{
    // A native application may come back to any port of loopback.
    application_type: "native",
    client_id: "sluice",
    client_secret: "the secret of the tests",
    redirect_uris: ["test", "google"].map((name) => `http://127.0.0.1/auth/oidc/${name}/callback`)
      .concat("http://127.0.0.1/auth/google/callback"),
    response_types: ["code"],
    grant_types: ["authorization_code"],
    token_endpoint_auth_method: "client_secret_basic",
  }],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "groups"] },
  cookies: { keys: ["the key of the tests"] },
  features: { devInteractions: { enabled: false } },
  pkce: { required: () => true },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, sub) => people.has(sub) && { accountId: sub, claims: () => ({ sub, ...people.get(sub) }) },
  // Everybody agrees to everything.
  loadExistingGrant: async ({ oidc: { client, session, params, provider: { Grant } } }) => {
    const grant = new Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope(params.scope);
    await grant.save();
    return grant;
  },
});

const answer = provider.callback();
server.on("request", async (request, response) => {
  if (request.method === "PUT") {
    // What a test says about a person: PUT /people/SUB with the claims.
    const parts = await request.toArray();
    people.set(request.url.split("/").pop(), JSON.parse(Buffer.concat(parts)));
    response.writeHead(204).end();
  } else if (request.url.startsWith("/interaction/")) {
    const { params } = await provider.interactionDetails(request, response);
    const result = people.has(params.login_hint)
      ? { login: { accountId: params.login_hint }, consent: {} }
      : { error: "access_denied", error_description: "nobody of this name" };
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  } else {
    answer(request, response);
  }
});

console.log(issuer);
