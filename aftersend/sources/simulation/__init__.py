"""What the simulators of sources share: messages, replies of hosts, user agents, signed requests.

A simulator writes what its source sends, for demo, trials and load. Production imports neither this room nor any
module named `simulator`.
"""
