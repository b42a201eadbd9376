output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "public_subnet_ids" {
  description = "Public subnets, one per zone: NAT gateways and load balancers, nothing else."
  value       = [for zone in local.zones : aws_subnet.public[zone].id]
}

output "private_subnet_ids" {
  description = "Private subnets, one per zone."
  value       = [for zone in local.zones : aws_subnet.private[zone].id]
}

output "endpoints_group_id" {
  description = "Security group of the private endpoints of Session Manager."
  value       = aws_security_group.endpoints.id
}

output "s3_prefix_list_id" {
  description = "Addresses of S3 in this region, as AWS keeps them."
  value       = aws_vpc_endpoint.s3.prefix_list_id
}
