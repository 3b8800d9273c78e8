"""Prints what it is sent, like aiosmtpd's own handler, and refuses some recipients as real servers do."""

from aiosmtpd.handlers import Debugging


class Mailbox(Debugging):
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody"):
            return f"550 5.1.1 <{address}>: Recipient address rejected: User unknown"
        if address.startswith("relay"):
            return f"554 5.7.1 <{address}>: Relay access denied"
        envelope.rcpt_tos.append(address)
        return "250 OK"
