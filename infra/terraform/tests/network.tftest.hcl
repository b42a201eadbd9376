mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:mock" }
  }
}

variables {
  name         = "slipway-test"
  region       = "us-east-1"
  cidr         = "10.0.0.0/16"
  nat_per_zone = true
  key_arn      = "arn:aws:kms:us-east-1:123456789012:key/1"
  log_days     = 30
  subnets = {
    us-east-1a = { public = "10.0.1.0/24", private = "10.0.2.0/24" }
    us-east-1b = { public = "10.0.3.0/24", private = "10.0.4.0/24" }
  }
}

run "two_zones_and_no_public_addresses" {
  module {
    source = "./modules/network"
  }

  assert {
    condition     = aws_vpc.this.enable_dns_hostnames && aws_vpc.this.enable_dns_support && aws_vpc.this.cidr_block == "10.0.0.0/16"
    error_message = "the VPC has no DNS or other addresses"
  }
  assert {
    condition     = length(distinct([for one in aws_subnet.private : one.availability_zone])) == 2 && length(distinct([for one in aws_subnet.public : one.availability_zone])) == 2
    error_message = "a kind of subnet is in fewer than two zones"
  }
  assert {
    condition     = alltrue([for one in concat(values(aws_subnet.public), values(aws_subnet.private)) : one.map_public_ip_on_launch != true])
    error_message = "what starts in a subnet gets a public address"
  }
  assert {
    condition     = alltrue([for one in aws_route.private : one.gateway_id == null || one.gateway_id == ""]) && length(aws_nat_gateway.this) == 2
    error_message = "a private subnet has a way in from the internet, or a zone has no NAT gateway"
  }
  assert {
    condition     = length(aws_default_security_group.this.ingress) == 0 && length(aws_default_security_group.this.egress) == 0
    error_message = "the default security group lets something through"
  }
  assert {
    condition     = aws_flow_log.this.traffic_type == "ALL" && aws_cloudwatch_log_group.flow.kms_key_id == var.key_arn
    error_message = "traffic is not logged, or the log is not encrypted with the environment's key"
  }
}

run "one_nat_gateway_serves_all_zones" {
  module {
    source = "./modules/network"
  }

  variables {
    nat_per_zone = false
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(distinct([for one in aws_route.private : one.nat_gateway_id])) == 1
    error_message = "more than one NAT gateway"
  }
}
