"""ministack, and what `chalice deploy` needs beyond it: ImportRestApi and PutRestApi.

Run by the emulator's own Python, as a process; ministack's settings come from the environment. It imports the same
document already, for CloudFormation: here that is bridged to API Gateway's own requests.
"""

from __future__ import annotations

import json
from typing import Any

from ministack.app import main
from ministack.services import apigateway_v1

_handle_request = apigateway_v1.handle_request


async def handle_request(
    method: str, path: str, headers: Any, body: Any, query_params: dict[str, Any]
) -> Any:
    parts = path.strip("/").split("/")
    if method == "POST" and parts == ["restapis"] and "mode" in query_params:
        return _import(json.loads(body))
    if method == "PUT" and parts[0] == "restapis" and len(parts) == 2:
        return _overwrite(parts[1], json.loads(body))
    return await _handle_request(method, path, headers, body, query_params)


def _import(document: dict[str, Any]) -> Any:
    settings = {
        "binaryMediaTypes": document.get("x-amazon-apigateway-binary-media-types", []),
        "endpointConfiguration": {"types": ["REGIONAL"]},
    }
    return apigateway_v1._get_rest_api(apigateway_v1._import_rest_api(document, settings))


def _overwrite(api_id: str, document: dict[str, Any]) -> Any:
    resources = apigateway_v1._resources[api_id]
    for resource_id, resource in list(resources.items()):
        if resource["path"] == "/":
            resource["resourceMethods"] = {}
        else:
            del resources[resource_id]
    for path, item in document["paths"].items():
        apigateway_v1._import_path_item(api_id, path, item)
    return apigateway_v1._get_rest_api(api_id)


apigateway_v1.handle_request = handle_request
main()
