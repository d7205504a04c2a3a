// A real identity provider (oidc-provider) on a port of its own, where whoever says a name is that person.

import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import Provider from "oidc-provider";
import { freePort } from "./proxy.js";

const CLIENT = { id: "rollcall", secret: "only-of-these-tests" };

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");

const page = (title, content) =>
  `<!doctype html><html lang="en"><title>${title}</title><link rel="icon" href="data:,"><h1>${title}</h1>${content}`;

// The one question that it asks: who somebody is.
async function ask(provider, request, response, path) {
  const { uid, params } = await provider.interactionDetails(request, response);
  if (request.method !== "POST") {
    response.setHeader("content-type", "text/html; charset=utf-8");
    const form = `<form method="post" action="${path}"><label>Name <input name="name" required></label><button>Continue</button></form>`;
    return response.end(page("Staff login", `${form}<p>for ${escaped(String(params.client_id))} (${uid})</p>`));
  }
  let body = "";
  for await (const part of request) body += part;
  const accountId = new URLSearchParams(body).get("name");
  return provider.interactionFinished(request, response, { login: { accountId } });
}

/** An identity provider that knows Rollcall at this address as its client. */
export class IdentityProvider {
  client = CLIENT;
  /** Whether it answers browsers, but not us. */
  away = false;

  static async start(rollcall, key) {
    const own = new IdentityProvider();
    const port = await freePort();
    own.issuer = `http://localhost:${port}`;
    const provider = new Provider(own.issuer, {
      clients: [
        {
          client_id: CLIENT.id,
          client_secret: CLIENT.secret,
          redirect_uris: [`${rollcall}/auth/callback/${key}`],
          post_logout_redirect_uris: [`${rollcall}/auth/left`],
          backchannel_logout_uri: `${rollcall}/auth/back-channel/${key}`,
          backchannel_logout_session_required: true,
        },
      ],
      claims: { openid: ["sub", "sid", "auth_time"], email: ["email", "email_verified"], profile: ["name"] },
      ttl: { AccessToken: 600, Grant: 3_600, IdToken: 600, Interaction: 600, Session: 3_600 },
      jwks: { keys: [generateKeyPairSync("rsa", { modulusLength: 2_048 }).privateKey.export({ format: "jwk" })] },
      // Its own refuses addresses of this machine.
      fetch: (url, { dispatcher, ...options }) => fetch(url, options),
      cookies: { keys: ["of these tests alone"] },
      features: {
        devInteractions: { enabled: false },
        backchannelLogout: { enabled: true },
        rpInitiatedLogout: {
          enabled: true,
          logoutSource(context, form) {
            const button = `<button form="op.logoutForm" name="logout" value="yes">Sign out there, too</button>`;
            context.body = page("Leaving the staff login", form + button);
          },
          postLogoutSuccessSource(context) {
            context.body = page("Left the staff login", "");
          },
        },
      },
      interactions: { url: (_, { uid }) => `/interaction/${uid}` },
      findAccount: (_, sub) => ({
        accountId: sub,
        claims: () => ({ sub, name: `${sub} of the staff`, email: `${sub}@staff.example`, email_verified: true }),
      }),
      // Nobody has to agree to what the only client asks for.
      async loadExistingGrant({ oidc }) {
        const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
        grant.addOIDCScope("openid profile email");
        await grant.save();
        return grant;
      },
    });
    const answer = provider.callback();
    own.server = createServer((request, response) => {
      if (own.away && request.url === "/token") return request.socket.destroy();
      if (!request.url.startsWith("/interaction/")) return answer(request, response);
      return ask(provider, request, response, request.url).catch((error) => {
        response.statusCode = 500;
        response.end(String(error));
      });
    });
    await new Promise((done) => own.server.listen(port, "localhost", done));
    return own;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
