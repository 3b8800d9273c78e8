"""Prints what it is sent, like aiosmtpd's own handler, and refuses some recipients as real servers do."""

from aiosmtpd.handlers import Debugging


class Mailbox(Debugging):
    refused = set()

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        if "." not in hostname:
            return [f"504 5.5.2 <{hostname}>: Helo command rejected: need fully-qualified hostname"]
        session.host_name = hostname
        return responses

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody"):
            return f"550 5.1.1 <{address}>: Recipient address rejected: User unknown"
        if address.startswith("once") and address not in self.refused:
            self.refused.add(address)
            return f"550 5.1.1 <{address}>: Recipient address rejected: User unknown"
        if address.startswith("bare"):
            return f"550 no mailbox {address} here"
        if address.startswith("relay"):
            return f"554 5.7.1 <{address}>: Relay access denied"
        envelope.rcpt_tos.append(address)
        return "250 OK"
