"""The addresses of the broker's nodes, as the setting names them."""

from yarl import URL

#: Seconds between two signs of life, unless a URL says otherwise. aiormq gives a silent connection up after
#: 3 * (HEARTBEAT + 1) seconds; RabbitMQ's own figure of 60 would leave a service with a node that is cut off for
#: minutes. Less than 5 s gives false alarms (https://www.rabbitmq.com/docs/heartbeats#false-positives).
HEARTBEAT = 5


def addresses(amqp_url: str) -> tuple[URL, ...]:
    """Return the URL of each node, in the order in which they are tried. Raise ValueError if one is none."""
    found: dict[URL, None] = {}
    for part in amqp_url.split(","):
        url = URL(part.strip())
        if url.scheme not in ("amqp", "amqps") or not url.host:
            raise ValueError("not an AMQP URL, such as amqp://user:password@host/, or several with commas between them")
        found[url if "heartbeat" in url.query else url.update_query(heartbeat=str(HEARTBEAT))] = None
    return tuple(found)
