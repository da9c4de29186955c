"""A mail server on a free port of loopback. Prints the port, then each mail as a line of JSON."""

import asyncio
import email
import email.policy
import json
import sys

from aiosmtpd.smtp import SMTP


class Keeper:
    """Takes every mail."""

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        head = "".join(f"{name}: {value}\n" for name, value in mail.items())
        for to in envelope.rcpt_tos:
            print(json.dumps({"to": to, "text": f"{head}\n{mail.get_content()}"}), flush=True)
        return "250 kept"


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Keeper()), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Whoever started it is gone when standard input ends.
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
