# SPDX-License-Identifier: ISC
"""A stand-in for Alibaba Cloud's SSL Certificates Service (cas, 2020-04-07), after the public facts about it and nothing else: it shares no code and no table with
dovad. See server.py for how a test holds it, control.py for how another process does, state.py for its options."""
from .server import Server

__all__ = ["Server"]
