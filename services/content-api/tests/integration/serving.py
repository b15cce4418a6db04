"""An object to ask for, and how answers are read that have several parts."""

import email
import email.message

import httpx

DATA = bytes(range(256)) * 40
SIZE = len(DATA)


def parts(
    answer: httpx.Response, content_type: str = "video/iso.segment"
) -> list[tuple[str, bytes]]:
    """Return Content-Range and content of every part, read as an e-mail program would."""
    head = f"content-type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + answer.content)
    assert message.get_content_type() == "multipart/byteranges"
    found = []
    for part in message.get_payload():
        assert isinstance(part, email.message.Message)
        assert part["content-type"] == content_type
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        found.append((part["content-range"], payload))
    return found
